"""What is fitted to choices: a policy whose weights a rule moves, with noise and lapses."""
