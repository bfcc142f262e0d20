"""StyleGAN2: generator, discriminator, published checkpoints."""
