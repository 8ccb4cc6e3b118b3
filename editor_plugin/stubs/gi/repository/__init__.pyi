# The part of GIMP 3.0, GTK 3 and their libraries that `underpaint_gimp` uses, from their C
# documentation: the introspection data of GIMP 3.0 says hardly anywhere what may be NULL.
