"""What is done to raw media: functions of NumPy arrays, an idea a file."""
