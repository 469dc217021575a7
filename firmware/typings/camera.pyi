"""What the firmware uses of `camera`, the driver inside the image (micropython-camera-API 0.6.2)."""

class FrameSize:
    VGA: int
    SVGA: int
    XGA: int
    HD: int
    SXGA: int
    UXGA: int

class PixelFormat:
    JPEG: int

class GrabMode:
    WHEN_EMPTY: int
    LATEST: int

class GainCeiling:
    X2: int
    X4: int
    X8: int
    X16: int
    X32: int
    X64: int
    X128: int

class Camera:
    brightness: int
    contrast: int
    saturation: int
    gainceiling: int
    quality: int
    hmirror: bool
    vflip: bool
    def __init__(
        self, *, frame_size: int, pixel_format: int, jpeg_quality: int, fb_count: int, grab_mode: int
    ) -> None: ...
    def capture(self) -> memoryview | None: ...
    def deinit(self) -> None: ...
