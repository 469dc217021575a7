# For building an image with the firmware frozen into it, and for `mip`.
metadata(description="Wearable camera that keeps one photo for each waking", version="1.0.0")

package("archivecam")
module("main.py")
