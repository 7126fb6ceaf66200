//! May we? Cedar policies and versioned packs behind one decide().
