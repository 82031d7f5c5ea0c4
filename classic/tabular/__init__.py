"""Tables: a class or a number for each row, by rules of a schema and what earlier rows became."""
