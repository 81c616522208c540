/** The fields that we use of custom resources no package has types for; read in the definitions of each project. */
interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

interface Resources {
  readonly requests: Readonly<Record<string, string | number>>;
  readonly limits: Readonly<Record<string, string | number>>;
}

/** CloudNativePG, config/crd/bases/postgresql.cnpg.io_clusters.yaml. */
export interface CnpgCluster {
  readonly apiVersion: 'postgresql.cnpg.io/v1';
  readonly kind: 'Cluster';
  readonly metadata: Metadata;
  readonly spec: {
    readonly instances: number;
    readonly imageName: string;
    readonly bootstrap: {
      readonly initdb: {
        readonly database: string;
        readonly owner: string;
        readonly dataChecksums: boolean;
      };
    };
    readonly postgresql: {
      readonly synchronous: {
        readonly method: 'any' | 'first';
        readonly number: number;
        readonly dataDurability: 'required' | 'preferred';
      };
    };
    readonly affinity: {
      readonly enablePodAntiAffinity: boolean;
      readonly topologyKey: string;
      readonly podAntiAffinityType: 'preferred' | 'required';
    };
    readonly storage: { readonly size: string };
    readonly resources: Resources;
  };
}

/** KEDA, config/crd/bases/keda.sh_scaledobjects.yaml; the metadata of the prometheus scaler from its documentation. */
export interface ScaledObject {
  readonly apiVersion: 'keda.sh/v1alpha1';
  readonly kind: 'ScaledObject';
  readonly metadata: Metadata;
  readonly spec: {
    readonly scaleTargetRef: { readonly name: string };
    readonly minReplicaCount: number;
    readonly maxReplicaCount: number;
    readonly pollingInterval: number;
    readonly cooldownPeriod: number;
    readonly triggers: readonly {
      readonly type: 'prometheus';
      readonly metricType: 'AverageValue' | 'Value';
      readonly metadata: {
        readonly serverAddress: string;
        readonly query: string;
        readonly threshold: string;
        /** No answer counts as 0 unless this says no, and ends workers that are busy. */
        readonly ignoreNullValues: 'false';
      };
    }[];
  };
}

/** Kueue, config/components/crd/bases. */
export interface ResourceFlavor {
  readonly apiVersion: 'kueue.x-k8s.io/v1beta2';
  readonly kind: 'ResourceFlavor';
  readonly metadata: Metadata;
}

export interface ClusterQueue {
  readonly apiVersion: 'kueue.x-k8s.io/v1beta2';
  readonly kind: 'ClusterQueue';
  readonly metadata: Metadata;
  readonly spec: {
    readonly namespaceSelector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly resourceGroups: readonly {
      readonly coveredResources: readonly string[];
      readonly flavors: readonly {
        readonly name: string;
        readonly resources: readonly { readonly name: string; readonly nominalQuota: number | string }[];
      }[];
    }[];
  };
}

export interface LocalQueue {
  readonly apiVersion: 'kueue.x-k8s.io/v1beta2';
  readonly kind: 'LocalQueue';
  readonly metadata: Metadata;
  readonly spec: { readonly clusterQueue: string };
}
