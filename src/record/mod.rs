//! Record batches (format v2) as bytes.
