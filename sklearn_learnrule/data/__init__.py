"""Tables of trials: their columns checked, their design made and read back. No torch here."""
