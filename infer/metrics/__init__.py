"""Lists and ranks to figures."""
