"""What is done to raw media: functions of files, NumPy arrays and text, an idea a file."""
