"""The pace: schedules as pure functions of a request's number, and alarms that keep them."""
