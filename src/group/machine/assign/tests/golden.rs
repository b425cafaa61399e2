//! What Kafka 4.3.1's own classes made of generated groups (`compat/groups/AssignorGolden.java` prints the list): a
//! fingerprint of each assignment. Members, topics and partitions were given to it in ascending order.

use super::{Assignor, Dice, Group};
use crate::group::machine::assign::{Subscriber, Target};
use crate::model::{MemberId, PartitionId, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Range,
    /// Uniform, all members with the same topics.
    Alike,
    /// Uniform, members with different topics.
    Different,
}

/// The same dice, rolled in the same order, as in the Java program. Also the topics in the order in which they came.
fn generated(kind: Kind, seed: u64) -> (Group, Vec<TopicId>) {
    let mut dice = Dice(seed);
    let mut ids = Vec::new();
    let mut counts = Vec::new();
    for number in 0..=dice.below(12) {
        counts.push(1 + dice.below(20));
        let id = match kind {
            Kind::Alike => Uuid::from_u128(number as u128 + 1),
            Kind::Range | Kind::Different => Uuid::from_u64_pair(dice.roll(), dice.roll()),
        };
        ids.push(TopicId(id));
    }
    let members = 2 + dice.below(15);
    let mut group = Group { members: BTreeMap::new(), partitions: ids.iter().copied().zip(counts.clone()).collect() };
    for member in 0..members {
        let instance = (dice.below(3) == 0).then(|| format!("i{}", dice.below(1000) * 100 + member));
        let mut topics = BTreeSet::new();
        for (number, id) in ids.iter().enumerate() {
            let all = kind == Kind::Alike || member == 0 || member == 1 && number > 0;
            if dice.below(3) != 0 && member > 1 || all {
                topics.insert(*id);
            }
        }
        let subscriber = Subscriber { instance, topics: Arc::new(topics), ..Subscriber::default() };
        group.members.insert(MemberId::new(&format!("m{member:02}")), subscriber);
    }
    for (id, count) in ids.iter().zip(counts) {
        for partition in 0..count {
            if dice.below(4) != 0 {
                let bound = 1 + dice.below(members);
                let owner = MemberId::new(&format!("m{:02}", dice.below(bound)));
                let current = &mut group.members.get_mut(&owner).unwrap().current;
                current.entry(*id).or_default().push(PartitionId(i32::try_from(partition).unwrap()));
            }
        }
    }
    (group, ids)
}

/// FNV-1a of `member:topic:partition;` for each partition.
fn fingerprint(target: &Target, topics: &[TopicId]) -> u64 {
    let mut text = String::new();
    for (member, assignment) in target.values().enumerate() {
        for (topic, id) in topics.iter().enumerate() {
            for partition in assignment.get(id).into_iter().flatten() {
                text.push_str(&format!("{member}:{topic}:{};", partition.0));
            }
        }
    }
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[track_caller]
fn same_as_kafka(kind: Kind, fingerprints: &[u64]) {
    let assignor = if kind == Kind::Range { Assignor::Range } else { Assignor::Uniform };
    for (seed, expected) in (0..).zip(fingerprints) {
        let (group, topics) = generated(kind, seed);
        let target = assignor.assign(&group);
        assert_eq!(fingerprint(&target, &topics), *expected, "seed {seed}: {group:?} -> {target:?}");
    }
}

#[test]
fn range_gives_what_kafka_gives() {
    same_as_kafka(Kind::Range, &RANGE);
}

#[test]
fn uniform_gives_what_kafka_gives_where_all_subscribe_alike() {
    same_as_kafka(Kind::Alike, &ALIKE);
}

#[test]
fn uniform_gives_what_kafka_gives_where_subscriptions_differ() {
    same_as_kafka(Kind::Different, &DIFFERENT);
}

#[rustfmt::skip]
const RANGE: [u64; 64] = [
    0x93d7_8bbf_07eb_01dc, 0x566f_52c0_b2a7_0090, 0x0813_07b6_13a9_298c, 0xcdbd_d71b_1a4c_5f0e,
    0x0db3_ca73_dbdf_a383, 0x04dc_46e7_368d_7b17, 0x1f4f_b8f4_f604_0d9e, 0x7b7d_72a5_843b_54af,
    0x07c4_fe07_4064_e029, 0xd4e5_c206_1385_31cf, 0xfea0_82da_aca0_a882, 0xcef7_24ad_2f38_440a,
    0x8f5d_0d23_6844_54bd, 0x256f_ac20_e0b6_4052, 0xdfb6_2535_2f97_1221, 0x1c63_b89c_fb1c_74df,
    0x5180_4bfc_68f3_398e, 0x6619_0b29_97c2_3548, 0x4cfa_22a1_e2c4_484e, 0x75bb_6425_3187_e9df,
    0x4fbf_a1a7_a03c_c13e, 0x609d_ce35_d8b4_7a96, 0x25fc_84cf_512b_db34, 0xeeb8_04e5_aa33_b8d9,
    0xcdb3_0f00_6980_d441, 0x8ae1_cb35_9d04_a6dc, 0xa376_801a_c099_a46c, 0x742d_66d3_1e4c_ef38,
    0x2671_82a1_2e62_73b0, 0xf53f_936e_155a_21ab, 0x45ab_5a56_635e_d158, 0x7f4b_2c84_2e02_4365,
    0xc971_50d0_60c4_3d45, 0x1b6b_8964_942b_7258, 0xa10c_e9e8_4588_5963, 0x3bc1_ed6d_9bf3_ecef,
    0x36b9_2b40_8971_5424, 0x40f3_82a6_c9fc_b9a2, 0x0689_4104_9b38_0140, 0x22a6_f135_37c8_e69c,
    0xf106_fb4c_3ead_3017, 0x6513_de65_ec11_16f1, 0x8d0b_1cf0_24dc_ffe5, 0x3d54_3389_3d25_895e,
    0xbac8_2bd7_8398_65f8, 0x647c_b1d7_f4b4_4743, 0xaf33_927d_8da3_f86e, 0xfbb1_741d_65d5_e014,
    0x249d_d338_6fba_2103, 0xebf8_e85d_ac17_5c88, 0x479a_7987_5fa3_a276, 0xe69a_1bf1_182a_e855,
    0x48d6_fc9d_dbc3_4e9d, 0xa005_dd36_43c4_72f0, 0xf593_127a_e368_726d, 0x0448_527b_cdfa_ee0e,
    0xe90b_b2ba_96ef_b1a6, 0x143e_157f_2e26_1737, 0x0cd4_d60a_1ac5_0b71, 0xbe1f_9471_b83a_ae77,
    0x303c_6036_4a3e_01d9, 0x4181_7ce2_554f_8674, 0xc62d_8bc9_9beb_62c7, 0x32c7_0171_9752_5f15,
];

#[rustfmt::skip]
const ALIKE: [u64; 64] = [
    0xc1a2_37d5_5b00_b729, 0x4126_1758_4ff7_4ec0, 0x2e34_6169_061f_225b, 0x1dbf_5142_d055_0d9f,
    0x9ca9_61e9_30d0_a5c1, 0x8232_c150_0bc5_edb7, 0xfb00_825d_fe45_94a6, 0xe9b3_2d96_a010_d369,
    0xd595_0dfa_b5b5_989d, 0x04f1_76a6_f889_1d87, 0x6129_7ea2_92b9_78f1, 0x9156_94b7_eac4_b4af,
    0x0e7e_c837_8241_9c7b, 0xdae1_62c6_83b9_f3b7, 0xb2ea_721a_69f0_12ab, 0x2dd7_8885_f2c6_93f8,
    0x3ab9_0308_07a9_19f1, 0xc84e_b34a_8439_6c51, 0x64ed_29d7_8c7b_3ba3, 0xc073_fd93_ef46_1d25,
    0xc527_7574_2f6e_37f3, 0xd2cc_4bec_d6e1_10d6, 0x8236_5345_7e82_d744, 0xf605_40cf_5519_053e,
    0x81e7_d648_4aa3_0066, 0x57f6_5290_85e6_0bc5, 0x64a2_34e4_0c14_2420, 0x91bd_aed2_3911_5dd8,
    0x5da0_f9ea_cfb8_3bb1, 0x4471_e635_67eb_bde8, 0xa2bb_4184_7292_8f4a, 0xc809_c834_9a48_ce0b,
    0xaef4_94ab_3fe4_5c28, 0x9ea8_977a_13d8_7369, 0x9b86_ee69_95e9_b52a, 0xf7a7_b580_aabc_18b4,
    0x5bd0_f69d_34c2_949e, 0xfb24_bd3c_435e_ab17, 0xf687_1c7f_e408_eb7c, 0xbca9_656b_4d21_d9f2,
    0xd296_a903_c990_c845, 0xde42_9b0d_b7e9_b7b2, 0xd919_e0b7_768e_9671, 0x9aaa_3cee_c8f6_494f,
    0x5239_283f_cceb_5784, 0x3ebe_e503_b66f_82ad, 0x4798_fafc_ffc4_73bf, 0x0ed7_b54c_014d_086f,
    0x1f1d_d8cd_8a5d_dd5c, 0xcdab_9afb_4ce8_f85c, 0x5ad8_db64_c31b_829d, 0x9bde_4740_b9b8_4883,
    0x5cde_d1e1_0afc_bb4f, 0x23b7_7e2b_8c03_0a1f, 0x9b69_af6e_00b3_9f16, 0xba6b_dd98_2817_0e6c,
    0xe9f6_00d1_7cd0_2fa7, 0x4326_66e9_5aca_7085, 0x1b50_a691_1d58_7fc6, 0x4ca0_4ba8_db31_c702,
    0x8030_1215_2bd9_2630, 0x56ff_6fd5_a08d_3cd8, 0x901b_bd96_d7ff_b758, 0x12db_0d40_f251_30d7,
];

#[rustfmt::skip]
const DIFFERENT: [u64; 64] = [
    0xeede_8653_7648_fdba, 0xf427_a24f_e704_90b2, 0x64f7_7dcd_4149_2274, 0x606c_39b8_b432_1431,
    0x039c_a7e9_f310_45ce, 0x0ae2_189a_e484_1b13, 0x9228_5fee_5b1d_b7cd, 0x7929_b646_9e47_284e,
    0x1082_6ad4_9b85_e829, 0xb176_5f38_c4cf_766a, 0x7376_91e3_6cb0_399a, 0xc9c8_cd8e_8103_dff2,
    0x35ba_6103_037a_4d4b, 0xfca6_466b_2588_ddcd, 0x2be2_0beb_e121_21e7, 0x459c_29e5_a3ae_0b8f,
    0xd545_f466_d9e6_15d2, 0x8a37_dcc6_4944_736c, 0x6a5c_05eb_73c6_6832, 0xcf0b_cb16_8463_a3a3,
    0x2d21_f8ff_40ca_f9ff, 0xbd6e_ea35_a7f5_9e97, 0xbfe1_3fb6_f966_2c1f, 0x3edd_e5ba_6192_26d4,
    0x7c74_5f22_b2d1_9b4e, 0xf682_f0dc_06df_d535, 0x54e5_6fe6_9d3d_17d2, 0xd472_7c18_89f8_4342,
    0x1128_5765_0437_e305, 0x6d9c_ef5f_f6e6_a334, 0xbdf2_fce0_1ccd_d172, 0xe00b_c59b_ac55_9995,
    0x755c_75ef_3e48_306b, 0x5e3c_0cd9_9dcd_99e4, 0x1d84_4d82_f7b6_cb9e, 0xe45e_3b00_19eb_aa75,
    0x7019_da41_00ae_48bb, 0x4288_331b_b60a_a5b7, 0x6873_71cb_0116_969a, 0x38b6_740c_46e5_c917,
    0xb0e2_befa_476e_e80d, 0xb5ee_4e77_d6fd_6f0e, 0xa0dc_6945_333a_f5e8, 0xb9fb_99ba_8ecf_0139,
    0xd61f_d49c_2a1f_861d, 0x09ea_5103_b287_5b27, 0xa25d_6f62_51ce_41d4, 0x009f_5b28_a496_0a77,
    0x7e85_90e9_70e3_6b2c, 0xebf8_e85d_ac17_5c88, 0x69df_8ce1_7766_a771, 0x86d9_1c20_6d44_6d45,
    0x4bd2_3169_4dfd_07f3, 0xfe7e_28e1_4de4_f03f, 0xdd1b_7fa0_8a53_881f, 0xf145_8f4a_cf0c_f2f0,
    0xe9ae_591f_fa9a_8aa9, 0xb635_01c9_8548_7a46, 0x1645_88fa_6bd6_5b5f, 0x9804_411a_a431_d364,
    0x8b26_f459_0ce2_05b9, 0x5376_3e6f_11fc_672e, 0x7d16_1b1e_55bf_6040, 0xad61_b9f0_511b_c5ee,
];
