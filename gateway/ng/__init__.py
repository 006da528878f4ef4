"""rtpengine's ng control protocol: messages and descriptions as Kamailio and OpenSIPS speak them. No sockets."""
