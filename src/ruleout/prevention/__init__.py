"""What keeps an incident from coming back, and faults to practise on."""
