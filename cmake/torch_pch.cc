// Carries the precompiled <torch/torch.h> that every *_torch.cc reuses.
