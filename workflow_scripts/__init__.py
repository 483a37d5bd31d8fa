"""Which simple function explains what SGD has learned so far? One module per stage, and the libraries they share."""

import os

from workflow_scripts.provenance import loading

#: what lets a user change how libraries compute, and with it the last bits of results
SWITCHES = (
    *("ATEN_", "BLIS_", "CUBLAS", "CUDNN_", "DNNL_", "MKL_", "NPY_", "NVIDIA_TF32_", "ONEDNN_", "OPENBLAS_"),
    *("TORCH_ALLOW_", "TORCH_BLAS_", "TORCH_CUDNN_", "VECLIB_"),
)

for name in [name for name in os.environ if name.startswith(SWITCHES)]:
    del os.environ[name]

loading.install()
