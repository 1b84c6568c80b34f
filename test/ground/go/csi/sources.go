// Package csi keeps in this module what is read from it rather than compiled: the protocol definitions of CSI and of the
// kubelet's plugin registration, and the snapshot kinds' CRDs. The programs are named in go.mod.
package csi

import (
	_ "github.com/container-storage-interface/spec/lib/go/csi"
	_ "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	_ "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)
