//! Containers of images made on the spot from the system's own files: no network, nothing prepared.

use anyhow::ensure;

use crate::guest::Guest;
use crate::lab::Lab;

/// Makes the folder `/var/tmp/app` with programs of the system and the libraries they load, and imports it as
/// `app:a`; then again, with another OpenSSL, as `app:b`.
///
/// The other OpenSSL is the system's with its version text replaced, which is all that the program prints:
/// it stands for another build, and shows that an app brings its own library.
pub const IMAGES: &str = r#"
dir=/var/tmp/app
rm -rf $dir
mkdir -p $dir/usr/bin $dir/usr/lib $dir/usr/lib64 $dir/usr/sbin $dir/proc $dir/sys $dir/dev $dir/tmp $dir/etc/ssl
for link in bin sbin lib lib64; do ln -s usr/$link $dir/$link; done
for name in bash cat id ls ps sleep head tail tr touch openssl; do
  path=$(command -v $name)
  cp -L "$path" $dir/usr/bin/$name
  for library in $(/lib64/ld-linux-x86-64.so.2 --list "$path" | grep -o '/[^ )]*' | sort -u); do
    real=$(readlink -f "$library")
    mkdir -p "$dir/usr/lib/x86_64-linux-gnu"
    cp -n "$real" "$dir/usr/lib/x86_64-linux-gnu/$(basename "$library")"
  done
done
cp -L /lib64/ld-linux-x86-64.so.2 $dir/usr/lib64/
tar -C $dir -c . | docker import - app:a >/dev/null
version=$(openssl version | cut -d' ' -f2)
other=${version//[0-9]/9}
sed -i "s/OpenSSL $version/OpenSSL $other/g" $dir/usr/bin/openssl $dir/usr/lib/x86_64-linux-gnu/libcrypto.so.3
tar -C $dir -c . | docker import - app:b >/dev/null
rm -rf $dir
echo "$version $other"
"#;

/// The scenario.
pub fn run(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    guest.settled()?;
    let versions = guest.root(IMAGES)?;
    lab.say(&format!("two images of the system's own files, OpenSSL {versions}"));
    lab.check("two apps run their own OpenSSL at once", || two_openssl(guest, &versions))?;
    lab.check("a container's command is process 1 and sees no other", || {
        let table = guest.sh("docker run --rm app:a ps -e -o pid=,comm=")?;
        let rows: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        ensure!(rows == [["1", "ps"]], "{table}");
        Ok(())
    })?;
    lab.check("root of a user namespace is nobody outside", || user_namespace(guest))?;
    lab.check("two containers listen on port 80, each on its own device", || port_80_twice(guest))?;
    lab.check("the host's root is not visible", || own_root(guest))?;
    lab.check("--memory and --cpus are in the container's cgroup", || {
        let limits = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max";
        let text = guest.sh(&format!("docker run --rm --memory 64m --cpus 0.2 app:a {limits}"))?;
        ensure!(text == "67108864\n20000 100000", "{text}");
        Ok(())
    })?;
    lab.check("a container over its memory is killed alone", || {
        // From a pipe tail has to keep all that it may have to print; a device it would seek in.
        let eat = "exec tail -c 128M < <(head -c 128M /dev/zero)";
        let line = "docker run --name eater --memory 64m --memory-swap 64m app:a bash -c 'EAT' >/dev/null; \
                    docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater; docker rm eater >/dev/null";
        let text = guest.sh(&line.replace("EAT", eat))?;
        ensure!(text == "true 137", "{text}");
        guest.sh("systemctl is-active docker.service containerd.service").map(drop)
    })?;
    lab.check("a container at its processor limit gets no more", || container_cpu(guest))?;
    lab.check("a unit over its memory is killed alone", || unit_memory(guest))?;
    lab.check("a unit at its processor limit gets no more, and is counted", || unit_cpu(guest))
}

fn two_openssl(guest: &Guest, versions: &str) -> anyhow::Result<()> {
    let script = "
for app in a b; do docker run -d --name ssl-$app app:$app sleep 600 >/dev/null; done
for app in a b; do docker exec ssl-$app openssl version | cut -d' ' -f2; done
test $(docker ps -q --filter name=ssl- | wc -l) = 2
docker rm -f ssl-a ssl-b >/dev/null";
    let text = guest.root(script)?;
    ensure!(text.split_whitespace().eq(versions.split_whitespace()), "expected {versions}, found {text}");
    Ok(())
}

/// A07: a second engine whose containers' user numbers are moved, beside the first. It has a bridge of its own:
/// with `--bridge=none` it would remove the first one's.
fn user_namespace(guest: &Guest) -> anyhow::Result<()> {
    let script = "
echo core:100000:65536 > /etc/subuid
echo core:100000:65536 > /etc/subgid
ip link add remap0 type bridge
ip address add 172.31.255.1/24 dev remap0
systemd-run --quiet --unit=remap --property=Delegate=yes dockerd --userns-remap=core --host=unix:///run/remap.sock \
  --data-root=/var/lib/remap --exec-root=/run/remap --pidfile=/run/remap.pid --bridge=remap0 --iptables=false \
  --ip6tables=false
for try in $(seq 60); do docker -H unix:///run/remap.sock info >/dev/null 2>&1 && break; sleep 1; done
docker save app:a -o /var/tmp/app.tar
docker -H unix:///run/remap.sock load -q -i /var/tmp/app.tar >/dev/null
rm /var/tmp/app.tar
install -d -m 0777 /srv/share
docker -H unix:///run/remap.sock run --rm --network none -v /srv/share:/share app:a bash -c 'id -u; touch /share/file'
stat -c %u /srv/share/file
systemctl stop remap.service
ip link delete remap0";
    let text = guest.root(script)?;
    ensure!(text == "0\n100000", "uid inside and owner outside: {text}");
    Ok(())
}

fn port_80_twice(guest: &Guest) -> anyhow::Result<()> {
    // State 0A is LISTEN, 0050 is port 80; /proc/net shows the reader's own namespace.
    let script = "
for app in a b; do
  docker run -d --name web-$app app:$app openssl s_server -quiet -nocert -accept 80 >/dev/null
done
for app in a b; do
  for try in $(seq 30); do
    listening=$(docker exec web-$app cat /proc/net/tcp /proc/net/tcp6 | grep -c ':0050 .* 0A ' || true)
    test $listening != 0 && break
    sleep 1
  done
  echo $app $listening $(docker exec web-$app cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' ' | sort)
done
docker inspect -f '{{.NetworkSettings.IPAddress}}' web-a web-b | sort -u | wc -l
docker rm -f web-a web-b >/dev/null";
    let text = guest.root(script)?;
    ensure!(text == "a 1 eth0 lo\nb 1 eth0 lo\n2", "listeners, devices and number of addresses: {text}");
    Ok(())
}

fn own_root(guest: &Guest) -> anyhow::Result<()> {
    guest.root("touch /host-marker")?;
    let text = guest.sh("docker run --rm app:a ls -a /")?;
    ensure!(text.contains("etc") && !text.contains("host-marker"), "{text}");
    Ok(())
}

fn container_cpu(guest: &Guest) -> anyhow::Result<()> {
    let script = "
docker run -d --name spinner --cpus 0.2 app:a bash -c 'while :; do :; done' >/dev/null
pid=$(docker inspect -f '{{.State.Pid}}' spinner)
group=/sys/fs/cgroup$(cut -d: -f3 /proc/$pid/cgroup)
sleep 2
before=$(head -1 $group/cpu.stat | cut -d' ' -f2); start=$(date +%s%N)
sleep 6
after=$(head -1 $group/cpu.stat | cut -d' ' -f2); end=$(date +%s%N)
docker rm -f spinner >/dev/null
echo $(( (after - before) * 100000 / (end - start) ))";
    check_percent(&guest.root(script)?)
}

/// A10, memory.
fn unit_memory(guest: &Guest) -> anyhow::Result<()> {
    let script = "
systemd-run --quiet --unit=eater --property=MemoryMax=64M --property=MemorySwapMax=0 \
  --property=RemainAfterExit=no sh -c 'head -c 128M /dev/zero | tail -c 128M > /dev/null'
for try in $(seq 60); do
  test $(systemctl show -P ActiveState eater.service) = failed && break
  sleep 1
done
systemctl show -P Result eater.service
systemctl reset-failed eater.service
systemctl is-system-running
systemd-run --quiet --unit=holder --property=MemoryMax=64M \
  sh -c 'sleep 5; head -c 16M /dev/zero | tail -c 16M | (sleep 60; cat > /dev/null); sleep 600'
current=/sys/fs/cgroup/system.slice/holder.service/memory.current
first=$(cat $current)
for try in $(seq 30); do
  second=$(cat $current)
  test $((first + 16000000)) -lt $second && break
  sleep 1
done
systemctl stop holder.service
test $((first + 16000000)) -lt $second
test $second -le 67108864
echo counted";
    let text = guest.root(script)?;
    ensure!(text == "oom-kill\nrunning\ncounted", "{text}");
    Ok(())
}

/// A10, processor.
fn unit_cpu(guest: &Guest) -> anyhow::Result<()> {
    let script = "
systemd-run --quiet --unit=spinner --property=CPUQuota=20% sh -c 'while :; do :; done'
stat=/sys/fs/cgroup/system.slice/spinner.service/cpu.stat
sleep 2
before=$(head -1 $stat | cut -d' ' -f2); start=$(date +%s%N)
sleep 6
after=$(head -1 $stat | cut -d' ' -f2); end=$(date +%s%N)
systemctl stop spinner.service
echo $(( (after - before) * 100000 / (end - start) ))";
    check_percent(&guest.root(script)?)
}

/// A limit of 20 % of one processor may measure as 25 %, and a spinning process uses some of it.
fn check_percent(text: &str) -> anyhow::Result<()> {
    let percent: u32 = text.parse()?;
    ensure!((5..=25).contains(&percent), "used {percent} % of a processor with a limit of 20 %");
    Ok(())
}
