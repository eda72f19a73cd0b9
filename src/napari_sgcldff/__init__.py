"""The napari plugin of SG-CLDFF."""
