"""One notification, one record, one reason: everything there is to know about it."""
