"""The networks G_x and G_k, one file each; `registry` names them."""
