"""What keeps the project itself: preparing a machine, checks, tests, messages, pages of reference and pictures. No part of a lab."""
