"""The checks, by what they are about; a function each, whose name and first sentence a person is shown."""
