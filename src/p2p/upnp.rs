//! Asks the router to let others in: UPnP's port mappings.
//!
//! A home router forwards nothing from outside unless it is told. Where it listens to UPnP, we tell it; where not, the node
//! works all the same, with peers that it connects to itself.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use async_channel::{Receiver, Sender};
use igd_next::{AddPortError, Gateway, PortMappingProtocol, SearchOptions, search_gateway};
use smol::{Timer, future};
use tracing::{debug, info};

use super::discovery::is_dialable;

/// How long a mapping lasts if we do not renew it: when we are killed, the router forgets us soon.
const LEASE: Duration = Duration::from_secs(3600);
/// Time between two renewals, and between two searches for a router.
const RENEW_EVERY: Duration = Duration::from_secs(1200);
/// How long a router may take to answer the search.
const SEARCH_TIME: Duration = Duration::from_secs(5);
/// What taking the mappings back may take when the node stops.
const REMOVE_TIME: Duration = Duration::from_secs(1);
/// What the router's owner sees in its list.
const DESCRIPTION: &str = "hornero";

/// A port to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Of TCP.
    Tcp(u16),
    /// Of UDP.
    Udp(u16),
}

impl Port {
    fn split(self) -> (PortMappingProtocol, u16) {
        match self {
            Port::Tcp(port) => (PortMappingProtocol::TCP, port),
            Port::Udp(port) => (PortMappingProtocol::UDP, port),
        }
    }
}

/// Mappings that are held; they end when it is told to end, or an hour after it is dropped.
pub struct Upnp {
    end: Sender<()>,
    ended: Receiver<()>,
}

impl Upnp {
    /// Begins to hold mappings of the same port numbers outside and inside.
    pub fn start(ports: Vec<Port>) -> Upnp {
        Upnp::with_search(ports, || {
            let mut options = SearchOptions::default();
            (options.timeout, options.single_search_timeout) = (Some(SEARCH_TIME), Some(SEARCH_TIME));
            options
        })
    }

    fn with_search(ports: Vec<Port>, search: fn() -> SearchOptions) -> Upnp {
        let (end, end_asked) = async_channel::bounded(1);
        let (ended_sender, ended) = async_channel::bounded(1);
        smol::spawn(async move {
            hold(ports, search, end_asked).await;
            let _ = ended_sender.try_send(());
        })
        .detach();
        Upnp { end, ended }
    }

    /// Takes the mappings back.
    pub async fn end(self) {
        let _ = self.end.try_send(());
        let late = async {
            Timer::after(REMOVE_TIME).await;
        };
        future::or(async { self.ended.recv().await.unwrap_or_default() }, late).await;
    }
}

/// Maps and renews until told to end, or until nobody is there to tell.
async fn hold(ports: Vec<Port>, search: fn() -> SearchOptions, end: Receiver<()>) {
    let mut said = None;
    loop {
        let work = ports.clone();
        let mapped = smol::unblock(move || map(&work, search())).await;
        let says = mapped.as_ref().map(|mapped| mapped.describe(&ports)).unwrap_or_else(|reason| reason.clone());
        // Once, and again when something is different.
        if said.as_ref() != Some(&says) {
            info!("UPnP: {says}");
            said = Some(says);
        }
        let due = async {
            Timer::after(RENEW_EVERY).await;
            true
        };
        let ends = async {
            let _ = end.recv().await;
            false
        };
        if !future::or(ends, due).await {
            if let Ok(mapped) = mapped {
                smol::unblock(move || remove(&mapped.gateway, &ports)).await;
            }
            return;
        }
    }
}

/// A router that forwards to us.
struct Mapped {
    gateway: Gateway,
    outside: Option<IpAddr>,
}

impl Mapped {
    fn describe(&self, ports: &[Port]) -> String {
        let ports: Vec<String> = ports.iter().map(|port| format!("{} {}", port.split().0, port.split().1)).collect();
        let ports = ports.join(", ");
        match self.outside {
            Some(ip) if is_dialable(ip, false) => format!("the router at {ip} forwards {ports} to this node"),
            Some(ip) => format!(
                "the router forwards {ports} to this node, but its own address {ip} is not a public one: another router is \
                 in between, or the provider shares one address among customers, and nobody reaches us from outside"
            ),
            None => format!("the router forwards {ports} to this node"),
        }
    }
}

/// Finds the router and maps all ports; or says in words for the user why not.
fn map(ports: &[Port], search: SearchOptions) -> Result<Mapped, String> {
    let gateway = search_gateway(search).map_err(|error| {
        debug!(%error, "no router for UPnP");
        "no router answers; if nobody reaches this node, forward its ports by hand, or start it with --no-upnp"
            .to_owned()
    })?;
    let inside = own_address(gateway.addr).map_err(|e| format!("our own address is not known: {e}"))?;
    for port in ports {
        let (protocol, number) = port.split();
        let lease = LEASE.as_secs() as u32;
        let local = SocketAddr::new(inside, number);
        let added = match gateway.add_port(protocol, number, local, lease, DESCRIPTION) {
            // A simple router knows mappings without an end only. We take ours back when we stop.
            Err(AddPortError::OnlyPermanentLeasesSupported) => {
                gateway.add_port(protocol, number, local, 0, DESCRIPTION)
            }
            other => other,
        };
        added.map_err(|error| format!("the router does not forward {protocol} {number}: {error}"))?;
    }
    Ok(Mapped { outside: gateway.get_external_ip().ok(), gateway })
}

/// The address by which the router knows us.
fn own_address(router: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = if router.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(router)?;
    Ok(socket.local_addr()?.ip())
}

fn remove(gateway: &Gateway, ports: &[Port]) {
    for port in ports {
        let (protocol, number) = port.split();
        if let Err(error) = gateway.remove_port(protocol, number) {
            debug!(%error, "the router keeps its mapping of {protocol} {number}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    const DEVICE: &str = r#"<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList><service>
        <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><SCPDURL>/actions.xml</SCPDURL>
        <controlURL>/control</controlURL></service></serviceList></device></root>"#;

    /// What an action of the router is given.
    fn action(name: &str, arguments: &[&str]) -> String {
        let argument = |name: &&str| format!("<argument><name>{name}</name><direction>in</direction></argument>");
        let arguments: String = arguments.iter().map(argument).collect();
        format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
    }

    fn actions() -> String {
        let mapping = ["NewRemoteHost", "NewExternalPort", "NewProtocol"];
        let inside = ["NewInternalPort", "NewInternalClient", "NewEnabled"];
        let words = ["NewPortMappingDescription", "NewLeaseDuration"];
        let add = action("AddPortMapping", &[&mapping[..], &inside, &words].concat());
        let remove = action("DeletePortMapping", &mapping);
        format!("<?xml version=\"1.0\"?><scpd><actionList>{add}{remove}</actionList></scpd>")
    }

    /// A router on loopback: answers what UPnP asks, and tells of each mapping.
    struct Router {
        told: Receiver<String>,
        search: SocketAddr,
    }

    fn router(outside: &'static str) -> Router {
        let (tells, told) = async_channel::bounded(16);
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let location = format!("http://{}/device.xml", http.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in http.incoming().flatten() {
                let _ = answer(stream, outside, &tells);
            }
        });
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let search = udp.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((_, from)) = udp.recv_from(&mut buffer) {
                let reply = format!("HTTP/1.1 200 OK\r\nLOCATION: {location}\r\n\r\n");
                let _ = udp.send_to(reply.as_bytes(), from);
            }
        });
        Router { told, search }
    }

    fn answer(stream: TcpStream, outside: &str, tells: &Sender<String>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            head.push(line.to_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let value = |name: &str| {
            let rest = body.split(&format!("<{name}>")).nth(1)?;
            Some(rest.split('<').next().unwrap_or_default().to_owned())
        };
        let port = || format!("{} {}", value("NewProtocol").unwrap(), value("NewExternalPort").unwrap());
        let reply = if head[0].contains("device.xml") {
            DEVICE.to_owned()
        } else if head[0].contains("actions.xml") {
            actions()
        } else if body.contains("AddPortMapping") {
            let _ = tells.try_send(format!("add {} {}", port(), value("NewInternalClient").unwrap()));
            soap("AddPortMapping", "")
        } else if body.contains("DeletePortMapping") {
            let _ = tells.try_send(format!("remove {}", port()));
            soap("DeletePortMapping", "")
        } else {
            soap("GetExternalIPAddress", &format!("<NewExternalIPAddress>{outside}</NewExternalIPAddress>"))
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", reply.len());
        reader.get_mut().write_all((head + &reply).as_bytes())
    }

    fn soap(action: &str, content: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
             <u:{action}Response xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">{content}</u:{action}Response>\
             </s:Body></s:Envelope>"
        )
    }

    fn options(search: SocketAddr) -> SearchOptions {
        let mut options = SearchOptions::default();
        (options.bind_addr, options.broadcast_address) = (([127, 0, 0, 1], 0).into(), search);
        // Outside of tests a router cannot be on this machine.
        options.allowed_gateway_ips = vec![[127, 0, 0, 1].into()];
        options
    }

    async fn next(router: &Router) -> String {
        let late = async {
            Timer::after(Duration::from_secs(20)).await;
            panic!("the router was told nothing")
        };
        future::or(async { router.told.recv().await.unwrap() }, late).await
    }

    #[test]
    fn ports_are_mapped_and_taken_back() {
        static SEARCH: std::sync::OnceLock<SocketAddr> = std::sync::OnceLock::new();
        let router = router("3.3.3.3");
        SEARCH.set(router.search).unwrap();
        smol::block_on(async {
            let ports = vec![Port::Tcp(9000), Port::Udp(9000)];
            let upnp = Upnp::with_search(ports, || options(*SEARCH.get().unwrap()));
            assert_eq!(next(&router).await, "add TCP 9000 127.0.0.1");
            assert_eq!(next(&router).await, "add UDP 9000 127.0.0.1");
            let removed = async { (next(&router).await, next(&router).await) };
            let (removed, ()) = futures::join!(removed, upnp.end());
            assert_eq!(removed, ("remove TCP 9000".into(), "remove UDP 9000".into()));
        });
    }

    #[test]
    fn what_the_router_says_is_said_plainly() {
        let ports = [Port::Tcp(9000), Port::Udp(9001)];
        let mapped = map(&ports, options(router("3.3.3.3").search)).unwrap();
        assert_eq!(mapped.describe(&ports), "the router at 3.3.3.3 forwards TCP 9000, UDP 9001 to this node");
        let behind_another = map(&ports, options(router("100.64.1.1").search)).unwrap();
        assert!(behind_another.describe(&ports).contains("not a public one"));
        // Nobody listens there.
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut options = options(silent.local_addr().unwrap());
        options.timeout = Some(Duration::from_millis(50));
        let Err(reason) = map(&ports, options) else { panic!("there is no router") };
        assert!(reason.contains("by hand") && reason.contains("--no-upnp"), "{reason}");
    }
}
