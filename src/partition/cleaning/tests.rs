pub(in crate::partition) fn settings() -> super::Settings { todo!() }
