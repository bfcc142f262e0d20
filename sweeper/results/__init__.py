"""What stored studies say: records, comparison, choice, export."""
