"""Controls of a study: floor, ceiling and targets that say whether its figures can tell anything."""
