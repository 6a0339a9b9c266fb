//! The way from the names of the talk to the stand-ins: what the OEM's cloud-config says in this test.

use vm::machine::HOST;

use crate::standin::Front;

/// What it writes.
pub const WRITTEN: [&str; 4] = [
    "/etc/hosts",
    "/etc/slipway/ca.d/e2e.crt",
    "/etc/systemd/system/e2e-redirect.service",
    "/etc/systemd/system/etcd.service.d/50-e2e.conf",
];

/// AUTHORITY is a PEM file, indented as the block that it is in.
const BASE: &str = "\
#cloud-config
write_files:
  - path: /etc/hosts
    content: |
      127.0.0.1 localhost
      ::1 localhost
      HOST api.github.com discovery.etcd.io
  - path: /etc/slipway/ca.d/e2e.crt
    content: |
AUTHORITY
coreos:
  units:
    - name: e2e-redirect.service
      command: start
      content: |
        [Unit]
        Description=Port 443 of the host is that of the stand-ins
        DefaultDependencies=no
        Before=network-pre.target slipway-cloudinit.service etcd.service

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=/usr/sbin/iptables -w -t nat -A OUTPUT -p tcp -d HOST --dport 443 -j DNAT --to-destination HOST:PORT
    - name: etcd.service
      drop_ins:
        - name: 50-e2e.conf
          content: |
            [Service]
            Environment=SSL_CERT_FILE=/etc/slipway/ca.d/e2e.crt
";

/// Returns the file.
pub fn base(front: &Front) -> String {
    filled(front.authority(), front.port())
}

fn filled(authority: &str, port: u16) -> String {
    let authority: Vec<_> = authority.lines().map(|line| format!("      {line}")).collect();
    BASE.replace("AUTHORITY", &authority.join("\n"))
        .replace("HOST", &HOST.to_string())
        .replace("PORT", &port.to_string())
}

#[cfg(test)]
mod tests {
    use cloud_config::metadata::Addresses;
    use cloud_config::substitute::Unknown;

    use super::*;

    #[test]
    fn nothing_is_to_be_said_about_the_file() {
        let text = filled("-----BEGIN X-----\nab\n-----END X-----\n", 4321);
        let (data, findings) = cloud_config::read(text.as_bytes(), &Addresses::default(), Unknown::Refuse);
        assert!(data.is_some() && findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn the_authority_is_indented_and_every_place_is_filled() {
        let text = filled("-----BEGIN X-----\nab\n-----END X-----\n", 4321);
        assert!(
            text.contains("\n      -----BEGIN X-----\n      ab\n      -----END X-----\ncoreos:\n"),
            "{text}"
        );
        assert!(text.contains(" -d 10.0.2.2 --dport 443 -j DNAT --to-destination 10.0.2.2:4321\n"), "{text}");
        let written = WRITTEN[..2].iter().all(|path| text.contains(path));
        assert!(written && !["AUTHORITY", "HOST", "PORT"].iter().any(|place| text.contains(place)), "{text}");
    }
}
