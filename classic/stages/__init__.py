"""What the command line and the gate ask of this package, by the kind of problem."""
