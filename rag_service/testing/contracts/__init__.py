"""What every implementation of a seam promises, as tests: subclass one and give it the fixture that it names."""
