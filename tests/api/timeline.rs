//! What a patient's reports say, one after the other.
