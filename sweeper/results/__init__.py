"""Results of stored studies: records, comparison, choice, export."""
