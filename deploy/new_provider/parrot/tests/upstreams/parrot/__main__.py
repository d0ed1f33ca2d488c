from ..stage import serve
from .service import Service

serve(Service().app())
