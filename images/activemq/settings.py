"""ActiveMQ's own configuration and command line, from what the broker is told. Pure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from common.config import ConfigError, ServerConfig

BROKER: Final = "main"  # its name; src/Counters.java asks for it
_SCHEMES: Final[Mapping[str, str]] = {"bio": "stomp", "nio": "stomp+nio"}
_LIB: Final = "/usr/share/activemq"
_AGENT: Final = "/srv/activemq/counters.jar"
# What ActiveMQ's own start script opens to it.
_OPENED: Final = ("java.security", "java.net", "java.lang", "java.util")


def configuration(config: ServerConfig, data: Path) -> str:
    """The text of `activemq.xml`: Debian's own, but for the connector, JMX, and what is kept on disk.

    Args:
        config: what the broker is told.
        data: its own folder.

    Raises:
        ConfigError: an option is not what model.yaml says.
    """
    scheme = _SCHEMES.get(str(config.options["transport"]))
    persistent = config.options["persistent"]
    if scheme is None or not isinstance(persistent, bool):
        raise ConfigError("config.json: options.transport must be bio or nio, options.persistent true or false")
    host = f"[{config.host}]" if ":" in config.host else config.host
    store = f'<persistenceAdapter><kahaDB directory="{data}/kahadb"/></persistenceAdapter>' if persistent else ""
    return f"""\
<beans xmlns="http://www.springframework.org/schema/beans"
       xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
       xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
                           http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="{BROKER}" dataDirectory="{data}"
          useJmx="true" persistent="{str(persistent).lower()}" advisorySupport="false">
    <managementContext><managementContext createConnector="false"/></managementContext>
    {store}
    <transportConnectors>
      <transportConnector name="stomp" uri="{scheme}://{host}:{config.port}?backlog={config.backlog}"/>
    </transportConnectors>
  </broker>
</beans>
"""


def command(config: ServerConfig, text: Path, asked: Path) -> list[str]:
    """The program and its arguments.

    Args:
        config: what the broker is told.
        text: path of `activemq.xml`.
        asked: path of the socket at which it is asked for its counters.
    """
    heap_bytes = config.options["heap"]
    own = text.parent
    return [
        "java",
        f"-Xms{heap_bytes}",
        f"-Xmx{heap_bytes}",
        *(() if ":" in config.host else ("-Djava.net.preferIPv4Stack=true",)),
        *(word for name in _OPENED for word in ("--add-opens", f"java.base/{name}=ALL-UNNAMED")),
        f"-Dorg.apache.activemq.UseDedicatedTaskRunner={str(config.options['task_runner'] == 'dedicated').lower()}",
        f"-javaagent:{_AGENT}={asked}",
        f"-Dactivemq.home={_LIB}",
        f"-Dactivemq.base={own}",
        f"-Dactivemq.conf={own}",
        f"-Dactivemq.data={own}/data",
        "-jar",
        f"{_LIB}/bin/activemq.jar",
        "start",
        f"xbean:file:{text}",
    ]
