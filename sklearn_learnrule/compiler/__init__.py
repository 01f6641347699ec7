"""The compiler: from a rule's equation in torch to machine code for one trial."""
