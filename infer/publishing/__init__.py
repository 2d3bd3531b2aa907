"""Complete lists on their way to readers: kept, compared, published or held, and gone back to."""
