"""What people did to tickets: read, compared with what was told, handed out."""
