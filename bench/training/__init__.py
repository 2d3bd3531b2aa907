"""How fast training is: steps beside their floor and other libraries, and whole stages at the shape of a data set."""
