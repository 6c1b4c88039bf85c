"""Where images come from: folders, manifests, MedMNIST or simulation, decoded once into one array."""
