#!/bin/sh
# Runs a command in a folder that holds another Debian; the mounts are gone when it ends. In the
# folder, `chroot /mnt` leads back to this system.
#     enter.sh FOLDER COMMAND [ARGUMENT...]
exec unshare --mount sh -ec '
    folder=$1
    shift
    for place in /proc /dev /dev/shm /tmp; do
        mount --bind "$place" "$folder$place"
    done
    mount --rbind / "$folder/mnt"
    exec chroot "$folder" "$@"
' enter "$@"
