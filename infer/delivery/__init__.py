"""Published lists on their way to whoever shows them: files of other formats, and tables of databases."""
