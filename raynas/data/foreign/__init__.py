"""Formats of data sets that `raynas convert` turns into Parquet shards and that nothing else reads.

They are torchvision's CIFAR folders, NumPy's .npz files, and folders that `save_to_disk` of Hugging Face's
datasets wrote. recognise.py tells them apart by their names, and loading knows nothing else of them.
"""
