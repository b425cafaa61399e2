//! Stores that the tools made which people make them with: `openssl` and `keytool`.

#![allow(clippy::unwrap_used)]
