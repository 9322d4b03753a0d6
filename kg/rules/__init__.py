"""The rules of derivation, by what they are about: the operation, the patient, the lines."""
