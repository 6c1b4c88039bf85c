"""An exported net behind HTTP, without medcls and PyTorch: pip install fastapi uvicorn onnxruntime pillow

    medcls export run=runs/<run> output=net.onnx
    NET=net.onnx uvicorn serve:app
    curl --data-binary @image.png localhost:8000

For research; it takes gray and colour images of 8 bits alone.
"""

import io
import json
import os

import numpy as np
import onnxruntime
from fastapi import FastAPI, HTTPException, Request
from PIL import Image, ImageOps

net = onnxruntime.InferenceSession(os.environ["NET"])
known = net.get_modelmeta().custom_metadata_map
classes, size, channels = (json.loads(known[name]) for name in ("classes", "image_size", "channels"))
app = FastAPI()


@app.post("/")
async def judge(request: Request) -> dict[str, object]:
    """Class and probabilities of the image that is the body of the request."""
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(await request.body())))
    except OSError as error:
        raise HTTPException(415, "not an image that can be read") from error
    if image.mode not in ("L", "RGB"):  # docs/pixels.md: what medcls makes of other modes
        raise HTTPException(415, f"found an image in mode {image.mode}, expected gray or RGB of 8 bits")
    image = image.convert("L" if channels == 1 else "RGB").resize(
        (size, size), Image.Resampling.BILINEAR, reducing_gap=3.0
    )
    found = net.run(["probabilities", "chosen"], {"images": np.asarray(image).reshape(1, size, size, channels)})
    return {"class": classes[found[1][0]], "probabilities": dict(zip(classes, found[0][0].tolist(), strict=True))}
