"""What makes an estimate in steps, one file each; `registry` names them."""
