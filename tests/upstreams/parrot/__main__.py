from tests.upstreams.parrot import build
from tests.upstreams.stage import serve

serve(build())
