"""What only the demonstration needs: sample letter, test authority over loopback HTTP."""
