"""Everything that tenant code can get hold of, found by walking there the way its code would."""
