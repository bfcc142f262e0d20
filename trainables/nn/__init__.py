"""Networks and tensor functions that know no method."""
