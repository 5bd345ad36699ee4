"""What may be asked: the vocabulary of experiments and models, read strictly, with file and line for every mistake."""
